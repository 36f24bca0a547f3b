//go:build commontrip_skew

package replica

import (
	"errors"
	"sync"
	"time"
)

var skewing struct {
	sync.Mutex
	turn int // grows with each skew, so that the one before ends
}

// skew makes the wall clock of this process jump to each of these distances in turn, round and round; without jumps it is
// right again. time.CommontripSkew, in seconds, is there if the replica is built over the standard library of writeOverlay.
func skew(jumps []time.Duration, every time.Duration) error {
	if len(jumps) > 0 && every <= 0 {
		return errors.New("jumps need a time between them")
	}
	skewing.Lock()
	defer skewing.Unlock()
	skewing.turn++
	time.CommontripSkew.Store(0)
	if len(jumps) > 0 {
		go jump(skewing.turn, jumps, every)
	}
	return nil
}

func jump(turn int, jumps []time.Duration, every time.Duration) {
	for i := 0; ; i++ {
		skewing.Lock()
		over := skewing.turn != turn
		if !over {
			time.CommontripSkew.Store(int64(jumps[i%len(jumps)] / time.Second))
		}
		skewing.Unlock()
		if over {
			return
		}
		<-time.After(every)
	}
}
