/* Which of several classes a text is in, as classifiers/classes.py says, and which language it is written in. */
#ifndef GATEHOUSE_CLASSES_H
#define GATEHOUSE_CLASSES_H

#include "features.h"

enum { MOST_LABELS = 64, LANGUAGE_BUCKETS = 1 << 16, ORDERS = 5 };

typedef struct {
    const int8_t *grams;     /* BUCKET_COUNT x labels: of the whole text, */
    const int8_t *edges;     /* of its beginning and its end */
    const float *surface;    /* SURFACES x labels */
    const float *embedding;  /* width x labels */
    const float *mean;       /* SURFACES */
    const float *deviation;  /* SURFACES */
    const float *bias;       /* labels */
    double gram_step, edge_step;
    size_t labels, width;
} Classes;

/* Writes the log-odds of each label to `out`. `vector` has `width` numbers. */
void class_logits(const Classes *model, const Features *whole, const Features *edges, const float *vector, double *out);

typedef struct {
    const int8_t *weights; /* LANGUAGE_BUCKETS x labels */
    const float *bias;     /* labels */
    double step;
    size_t labels;
} Languages;

typedef struct {
    size_t best;
    double margin; /* log-odds by which it beats the next */
} Told;

/* Reads letters only, small and parted by one blank. `words` takes `size` + 2 bytes. -1 for a text without a letter. */
int tell_language(const Languages *model, const uint8_t *data, size_t size, uint8_t *words, Told *told);

/* What each word says by itself. `words`: small letters in UTF-8 with one blank before, between and behind them, so at least
 * two bytes. Writes `labels` numbers a word to `out`, for one word less than there are blanks. Linear in `size`. */
void word_scores(const Languages *model, const uint8_t *words, size_t size, float *out);

enum { WINDOW_KINDS = 4 };

typedef struct {
    size_t first, stop; /* words */
} Window;

/* The windows of words, shorter kinds first, that are rather in a class that was not measured, as detectors/language.py says.
 * `measured`: for each label whether it was. `windows` has room for WINDOW_KINDS a word. Writes how many to `found`; 0, or -2
 * without memory. Linear in `size`. */
int strong_windows(const Languages *model, const uint8_t *measured, const uint8_t *words, size_t size, Window *windows,
                   size_t *found);

#endif
