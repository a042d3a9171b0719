/* Clocks, CPU time of processes, and a histogram of durations. */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

#define SECOND 1000000000ull

/* Nanoseconds of a monotonic clock. */
uint64_t now(void);

/* The CPU time of this process in seconds. */
double own_cpu(void);

/* The CPU time of all threads of a process in seconds, exact to 10 ms; 0 if the process does not exist. */
double cpu_of(int pid);

/* Durations in nanoseconds, exact to 1.6 %. */
struct histogram {
    uint64_t counts[64 * 64];
    uint64_t total, longest;
};

void record(struct histogram *histogram, uint64_t duration);

/* The duration in milliseconds that a share (0 to 1) of all did not exceed; -1 if none was recorded. */
double percentile(const struct histogram *histogram, double share);

#endif
