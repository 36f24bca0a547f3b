package breakergrpc

import (
	"context"

	"github.com/commontrip/commontrip/breaker"
	"github.com/commontrip/commontrip/transport/internal/perkey"
)

// PerMethod is a choice for [WithPick]: each full method has a breaker of its own, named "grpc:" and the method, such as
// "grpc:/helloworld.Greeter/SayHello". There are at most limit of them (a limit below 1 means none); those beyond it, and
// those whose name would not be valid, share "grpc:*". The place of a method is never given up.
//
// A breaker is registered with m and opts when its method is first met. If the store is remote that call waits for the
// fleet's verdict, for 100 ms at most; then the breaker starts on its own. A nil manager panics.
func PerMethod(m *breaker.Manager, limit int, opts ...breaker.Option) func(string) (*breaker.Breaker, error) {
	if m == nil {
		panic("breakergrpc: PerMethod: nil *breaker.Manager: make one with breaker.NewManager")
	}
	breakers := perkey.New(m, "grpc:", limit, opts...)
	return func(fullMethod string) (*breaker.Breaker, error) {
		return breakers.Get(context.Background(), fullMethod)
	}
}
