/* Clocks, CPU time of processes, and a histogram of durations. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define SECOND 1000000000ull

/* Nanoseconds of a clock that only goes forward. */
uint64_t now(void);

/* Seconds of CPU that this process has used. */
double own_cpu(void);

/* Seconds of CPU that a process has used, all threads together, to 10 ms; 0 where there is no such process. */
double cpu_of(int pid);

/* Durations in nanoseconds, kept to 1.6 % of their size. */
struct histogram {
    uint64_t counts[64 * 64];
    uint64_t total, longest;
};

void record(struct histogram *histogram, uint64_t duration);

/* The duration in milliseconds that a share (0 to 1) of all did not exceed; -1 where none was recorded. */
double percentile(const struct histogram *histogram, double share);

#endif
