package redisstore

import (
	"strings"

	"github.com/commontrip/commontrip/store"
)

// A lane of a Cluster is a range of 512 slots. Nodes own few, long ranges, so that nearly every lane lies on one node;
// the number needs no look at the Cluster and never changes.
const (
	slotCount    = 16384
	clusterLanes = 32
	manyLanes    = clusterLanes // the exchanges that touch several lanes
	inFlight     = 64           // exchanges of one lane
)

// Lane groups names that share their fate: 0 for one server, one of 32 ranges of slots for a Cluster.
func (s *Store) Lane(name string) int {
	if !s.cluster || store.ValidateName(name) != nil {
		return 0
	}
	return s.laneOfKey(s.keys.breaker(name))
}

// laneOfKey is the lane of a key.
func (s *Store) laneOfKey(key string) int {
	if !s.cluster {
		return 0
	}
	return slotOf(key) / (slotCount / clusterLanes)
}

// laneOf is the lane of all names, or the one for exchanges that touch several.
func (s *Store) laneOf(calls []*call) int {
	if !s.cluster || len(calls) == 0 {
		return 0
	}
	lane := s.laneOfKey(calls[0].key)
	for _, c := range calls[1:] {
		if s.laneOfKey(c.key) != lane {
			return manyLanes
		}
	}
	return lane
}

// slotOf is the slot of a key in a Cluster: CRC16/XMODEM of its hash tag, or of all of it.
func slotOf(key string) int {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			key = tag
		}
	}
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << 8
		for range 8 {
			if crc&0x8000 != 0 {
				crc = crc<<1 ^ 0x1021
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc % slotCount)
}
