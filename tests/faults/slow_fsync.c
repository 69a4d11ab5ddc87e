/* Preloaded, it makes every fsync and fdatasync take FSYNC_DELAY_MS longer, as on a disk that is busy. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_first(void)
{
    const char *given = getenv("FSYNC_DELAY_MS");
    long milliseconds = given ? atol(given) : 0;
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (nanosleep(&left, &left) != 0) {
    }
}

int fsync(int file)
{
    wait_first();
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file)
{
    wait_first();
    return (int)syscall(SYS_fdatasync, file);
}
