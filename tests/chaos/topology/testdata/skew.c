/* Preloaded into redis-server: its time of day is off by what a file says, in milliseconds as a signed 64-bit number of
 * this machine's byte order. The file, named by SKEW_FILE, is mapped, so that a write into it is a jump of the clock.
 * Monotonic clocks, by which the server times its own events, stay true. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *skew_ms;

__attribute__((constructor)) static void map_file(void) {
	const char *path = getenv("SKEW_FILE");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd < 0)
		_exit(97); /* a clock that does not jump would make the test pass for nothing */
	void *page = mmap(NULL, sizeof *skew_ms, PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		_exit(98);
	skew_ms = page;
	close(fd);
}

static int time_of_day(clockid_t id) { return id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE; }

int clock_gettime(clockid_t id, struct timespec *ts) {
	int failed = syscall(SYS_clock_gettime, id, ts);
	if (failed || !time_of_day(id) || !skew_ms)
		return failed;
	int64_t ns = ts->tv_nsec + *skew_ms % 1000 * 1000000;
	int64_t carry = ns < 0 ? -1 : ns >= 1000000000;
	ts->tv_sec += *skew_ms / 1000 + carry;
	ts->tv_nsec = ns - carry * 1000000000;
	return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone) {
	struct timespec ts;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out) {
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	if (out)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
