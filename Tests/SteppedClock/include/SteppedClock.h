#include <stdint.h>

/// Seconds that the clock of this process is ahead of the true one.
int64_t stepped_clock_offset(void);
