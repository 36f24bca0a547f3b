package chaos

import (
	"testing"

	"github.com/commontrip/commontrip/tests/chaos/replica"
)

func TestMain(m *testing.M) { replica.Main(m) }
