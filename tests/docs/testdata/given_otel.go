// What the block about OpenTelemetry takes as given. It is read by code_test.go.

package given

import (
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/commontrip/commontrip/breaker"
)

var (
	m        *breaker.Manager
	exporter sdkmetric.Exporter
)
