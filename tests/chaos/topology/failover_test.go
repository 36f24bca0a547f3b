package topology

import (
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/board"
	"github.com/commontrip/commontrip/tests/chaos/scenario"
)

func TestRow15AFailoverLosesWrites(t *testing.T) {
	row := board.Start(t, 15, "failover with lost writes")
	scenario.LostWrites(t, row, startPair(t), board.Pick(row, 3, 20))
}

func TestRow17TwoMasters(t *testing.T) {
	row := board.Start(t, 17, "two masters")
	scenario.TwoMasters(t, row, startPair(t), board.Pick(row, 2, 20))
}
