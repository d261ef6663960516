/* Hashed n-grams and surface counts of a text, as classifiers/features.py makes them, and linear models over them. */
#ifndef GATEHOUSE_FEATURES_H
#define GATEHOUSE_FEATURES_H

#include <stddef.h>
#include <stdint.h>

enum { BUCKET_COUNT = 1 << 16, SURFACES = 17 };

typedef struct {
    size_t count;             /* of distinct buckets */
    double surface[SURFACES]; /* as in features.SURFACE_NAMES */
    int32_t buckets[];        /* in the order of their first occurrence; each below BUCKET_COUNT */
} Features;

/* How many bytes `read_features` writes at most for a text of `size` bytes. */
size_t features_size(size_t size);

/* `data`: small letters in UTF-8 with a blank before and behind, so at least two bytes (`size` is checked: 0 on success,
 * -1 otherwise). Linear in `size`. */
int read_features(const uint8_t *data, size_t size, Features *out);

typedef struct {
    const int8_t *grams;     /* BUCKET_COUNT */
    const double *surface;   /* SURFACES each */
    const double *mean;
    const double *deviation; /* positive */
    double step;
    double bias;
} Linear;

/* The log-odds before rounding. */
double linear_logit(const Linear *model, const Features *features);

#endif
