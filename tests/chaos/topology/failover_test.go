package topology

import (
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/scoreboard"
)

func TestScenario15AFailoverLosesWrites(t *testing.T) {
	scenario := scoreboard.Start(t, 15, "failover with lost writes")
	LostWrites(t, scenario, startPair(t), scoreboard.Pick(scenario, 3, 20))
}

func TestScenario17TwoMasters(t *testing.T) {
	scenario := scoreboard.Start(t, 17, "two masters")
	TwoMasters(t, scenario, startPair(t), scoreboard.Pick(scenario, 2, 20))
}
