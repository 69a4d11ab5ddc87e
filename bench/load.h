/* What load.c and sink.c have in common. */
#include <stdint.h>

/* Says a sentence on stderr and exits with 1. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *sentence, ...);

uint64_t now_ns(void);

/* Serves on 127.0.0.1 for so long. */
void sink(int port, double seconds);
