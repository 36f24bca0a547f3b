package redisstore_test

import (
	"strings"
	"testing"

	"github.com/commontrip/commontrip/store/storetest"
	"github.com/commontrip/commontrip/tests/redistest"
)

// TestConformanceAsTheLeastUser runs the suite with the rights that the package's doc names, and no more.
func TestConformanceAsTheLeastUser(t *testing.T) {
	if testing.Short() {
		t.Skip("TestConformanceOnRedis plays the laws")
	}
	srv := redistest.Start(t)
	rights := "on >secret resetkeys ~commontrip:* resetchannels &commontrip:events -@all"
	for _, command := range strings.Fields("eval evalsha hmget hget hgetall hset hdel pexpire persist unlink exists sadd srem smembers " +
		"srandmember time ping publish subscribe unsubscribe hello") {
		rights += " +" + command
	}
	got, err := srv.Command(append([]string{"ACL", "SETUSER", "least"}, strings.Fields(rights)...)...)
	if err != nil || got != "+OK" {
		t.Fatal(got, err)
	}
	storetest.Run(t, func(t testing.TB) storetest.Harness {
		return harnessOf(t, srv.URL(), strings.Replace(srv.URL(), "//", "//least:secret@", 1))
	})
}
