/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * util_stats.c - samples of a measurement and their summary: medians, because a mean follows every outlier.
 *
 * Room: tests/bench.
 */
#include "util_stats.h"

#include "util_machine.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

void samples_add(struct samples *s, double value)
{
    if (s->count == s->size) {
        s->size = s->size ? 2 * s->size : 64;
        s->value = realloc(s->value, s->size * sizeof(*s->value));
        if (!s->value)
            die(-ENOMEM, "no memory for %zu samples", s->size);
    }
    s->value[s->count++] = value;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double samples_percentile(struct samples *s, double p)
{
    if (s->count == 0)
        return NAN;
    qsort(s->value, s->count, sizeof(*s->value), compare);
    double place = p * (double)(s->count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < s->count ? below + 1 : below;
    return s->value[below] + (place - (double)below) * (s->value[above] - s->value[below]);
}

void samples_free(struct samples *s)
{
    free(s->value);
    *s = (struct samples){0};
}

const char *const placement_names[PLACEMENTS] = {"all", "F", "S"};

static void add(struct slices *s, double ns, double floor_ns)
{
    samples_add(&s->ns, ns);
    samples_add(&s->floor_ns, floor_ns);
    samples_add(&s->ratio, ns / floor_ns);
}

void slices_record(struct slices s[PLACEMENTS], double ns, double floor_before, double floor_after, double fast_below)
{
    double floor_ns = (floor_before + floor_after) / 2;

    if (fabs(floor_before - floor_after) > FLOOR_CHANGE_MAX * fmin(floor_before, floor_after)) {
        s[PLACEMENT_ALL].dropped++;
        return;
    }
    add(&s[PLACEMENT_ALL], ns, floor_ns);
    add(&s[floor_ns < fast_below ? PLACEMENT_F : PLACEMENT_S], ns, floor_ns);
}

void slices_free(struct slices s[PLACEMENTS])
{
    for (enum placement p = 0; p < PLACEMENTS; p++) {
        samples_free(&s[p].ns);
        samples_free(&s[p].floor_ns);
        samples_free(&s[p].ratio);
        s[p] = (struct slices){0};
    }
}
