// Package redisstore keeps the fleet's verdict in Redis or Valkey.
package redisstore
