package shared

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sony/gobreaker/v2"

	"github.com/commontrip/commontrip/tests/redistest"
)

func openDistributed(t testing.TB, srv *redistest.Server, n int) (r replicas) {
	var client *redis.Client
	for range n {
		client = newClient(t, srv)
		b, err := gobreaker.NewDistributedCircuitBreaker[struct{}](&sharedData{client: client}, gobreaker.Settings{
			Name: name, Timeout: rest,
			ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= five },
		})
		if err != nil {
			t.Fatal(err)
		}
		r.guards = append(r.guards, func(fn func() error) error {
			_, err := b.Execute(func() (struct{}, error) { return struct{}{}, fn() })
			if errors.Is(err, gobreaker.ErrOpenState) {
				return errRefused
			}
			return err
		})
	}
	r.counted = func(t testing.TB) uint64 {
		var state gobreaker.SharedState
		data, err := client.Get(context.Background(), "gobreaker:state:"+name).Bytes()
		if err == nil {
			err = json.Unmarshal(data, &state)
		}
		if err != nil {
			t.Fatal(err)
		}
		return uint64(state.Counts.TotalSuccesses + state.Counts.TotalFailures)
	}
	return r
}

func newClient(t testing.TB, srv *redistest.Server) *redis.Client {
	client := redis.NewClient(&redis.Options{Addr: srv.Addr(), PoolSize: 64})
	t.Cleanup(func() { client.Close() })
	return client
}

// sharedData is the store that gobreaker wants of its user, with a lock that is kind to it: who waits looks again after a
// few milliseconds, where libraries for such locks wait for a tenth of a second.
type sharedData struct {
	client *redis.Client
	tokens sync.Map // of the locks that are held, by name
}

var unlock = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`)

var errLocked = errors.New("locked by another")

func (s *sharedData) Lock(name string) error {
	token := strconv.FormatUint(rand.Uint64(), 36)
	wait := time.Millisecond
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		locked, err := s.client.SetNX(context.Background(), name, token, 10*time.Second).Result()
		if err != nil {
			return err
		}
		if locked {
			s.tokens.Store(name, token)
			return nil
		}
		time.Sleep(rand.N(wait))
		wait = min(wait*2, 8*time.Millisecond)
	}
	return errLocked
}

func (s *sharedData) Unlock(name string) error {
	token, _ := s.tokens.LoadAndDelete(name)
	return unlock.Run(context.Background(), s.client, []string{name}, token).Err()
}

func (s *sharedData) GetData(name string) ([]byte, error) {
	data, err := s.client.Get(context.Background(), name).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	return data, err
}

func (s *sharedData) SetData(name string, data []byte) error {
	return s.client.Set(context.Background(), name, data, 0).Err()
}
