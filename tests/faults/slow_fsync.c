/* Preloaded, it makes every fsync and fdatasync take FSYNC_DELAY_MS longer, as on a disk that is busy.

   Given FSYNC_SLOW, it does so only while that file is there; given FSYNC_MARK, that file is there while one is held up. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_first(void)
{
    const char *given = getenv("FSYNC_DELAY_MS"), *slow = getenv("FSYNC_SLOW"), *mark = getenv("FSYNC_MARK");
    long milliseconds = given ? atol(given) : 0;
    struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    if (slow != NULL && access(slow, F_OK) != 0) {
        return;
    }
    if (mark != NULL) {
        close(open(mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    }
    while (nanosleep(&left, &left) != 0) {
    }
    if (mark != NULL) {
        unlink(mark);
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
