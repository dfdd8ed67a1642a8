/* Preloaded into Postgres: every fsync waits first for as long as the harness says, and is counted.
 *
 * SLOW_FSYNC_FILE is shared memory of two 64-bit numbers: the wait in microseconds, and the calls that waited.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

struct shared {
    int64_t wait_us;
    int64_t waited;
};

static struct shared *shared;

__attribute__((constructor)) static void attach(void) {
    const char *name = getenv("SLOW_FSYNC_FILE");
    int file = name ? open(name, O_RDWR) : -1;
    if (file < 0)
        return;
    void *memory = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (memory != MAP_FAILED)
        shared = memory;
}

static void wait_first(void) {
    int64_t wait_us = shared ? __atomic_load_n(&shared->wait_us, __ATOMIC_RELAXED) : 0;
    if (wait_us <= 0)
        return;
    __atomic_add_fetch(&shared->waited, 1, __ATOMIC_RELAXED);
    struct timespec left = {wait_us / 1000000, wait_us % 1000000 * 1000};
    while (nanosleep(&left, &left) && errno == EINTR)
        ;
}

int fsync(int file) {
    static int (*next)(int);
    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_first();
    return next(file);
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next)
        next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_first();
    return next(file);
}
