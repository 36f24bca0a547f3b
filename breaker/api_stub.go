package breaker

import (
	"context"
	"log/slog"

	"github.com/commontrip/commontrip/store"
)

type Breaker struct{ name string }
type Permit struct{ _ [0]func() }
type Manager struct{ s store.Store }

func New(name string, opts ...Option) (*Breaker, error)                          { return &Breaker{name}, nil }
func (b *Breaker) Run(ctx context.Context, fn func(context.Context) error) error { return fn(ctx) }
func Do[T any](ctx context.Context, b *Breaker, fn func(context.Context) (T, error)) (T, error) {
	return fn(ctx)
}
func (b *Breaker) Acquire(ctx context.Context) (Permit, error)              { return Permit{}, nil }
func (b *Breaker) Name() string                                             { return b.name }
func (b *Breaker) State() State                                             { return Closed }
func (b *Breaker) Status() Status                                           { return Status{} }
func (b *Breaker) Snapshot(ctx context.Context) (Snapshot, error)           { return Snapshot{}, nil }
func (b *Breaker) Command(ctx context.Context, c Command) (Snapshot, error) { return Snapshot{}, nil }
func (p *Permit) Context() context.Context                                  { return nil }
func (p *Permit) Probe() bool                                               { return false }
func (p *Permit) Done(err error)                                            {}
func (p *Permit) Record(o Outcome)                                          {}
func (e Event) String() string                                              { return e.Kind.String() }
func (e Event) LogValue() slog.Value                                        { return slog.StringValue(e.String()) }
func NewManager(s store.Store, opts ...ManagerOption) (*Manager, error)     { return &Manager{s}, nil }
func (m *Manager) Register(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	return &Breaker{name}, nil
}
func (m *Manager) GetOrRegister(ctx context.Context, name string, opts ...Option) (*Breaker, error) {
	return &Breaker{name}, nil
}
func (m *Manager) Breaker(name string) (*Breaker, bool)                     { return nil, false }
func (m *Manager) Unregister(name string) error                             { return nil }
func (m *Manager) Names() []string                                          { return nil }
func (m *Manager) Replica() string                                          { return "" }
func (m *Manager) Status() ManagerStatus                                    { return ManagerStatus{} }
func (m *Manager) Snapshots(ctx context.Context) ([]Snapshot, error)        { return nil, nil }
func (m *Manager) Command(ctx context.Context, c Command) (Snapshot, error) { return Snapshot{}, nil }
func (m *Manager) Reset(ctx context.Context, name string) error             { return nil }
func (m *Manager) ResetAll(ctx context.Context) error                       { return nil }
func (m *Manager) Sync(ctx context.Context) error                           { return nil }
func (m *Manager) Store() store.Store                                       { return m.s }
func (m *Manager) Close(ctx context.Context) error                          { return nil }
