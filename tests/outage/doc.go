// Package outage takes a real redis-server and real processes away from under a fleet.
package outage
