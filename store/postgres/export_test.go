package postgresstore

import "context"

// Freeze begins a step about a name, as a replica does, and never goes on. It returns once the row is locked.
func Freeze(ctx context.Context, s *Store, name string) error {
	conn, err := s.backend.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	_, _, err = s.backend.lock(ctx, conn.Conn(), []string{name})
	frozen := conn.Hijack()
	context.AfterFunc(ctx, func() { _ = frozen.Close(context.Background()) })
	return err
}

// Migrations is how many there are.
var Migrations = len(migrations)
