/* Decimal digits of a number that is not negative. */
#ifndef BEAMFAST_DECIMAL_H
#define BEAMFAST_DECIMAL_H

#include <stddef.h>

#define DECIMAL_SIZE 20

/* Write the digits so that they end before `end`; return where they begin. */
static inline char *decimal_before(char *end, size_t number) {
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    return end;
}

#endif
