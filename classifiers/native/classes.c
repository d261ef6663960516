#include "classes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double FAR_AWAY = 4.0;

enum { ROWS_AT_ONCE = 128 }; /* sums of so many bytes fit into 16 bits */

typedef struct {
    int16_t few[MOST_LABELS];
    int32_t all[MOST_LABELS];
    size_t rows, labels;
} Sums;

static void flush(Sums *sums) {
    for (size_t at = 0; at < sums->labels; at++) {
        sums->all[at] += sums->few[at];
        sums->few[at] = 0;
    }
    sums->rows = 0;
}

static void add_row(Sums *sums, const int8_t *row) {
    for (size_t at = 0; at < sums->labels; at++) sums->few[at] = (int16_t)(sums->few[at] + row[at]);
    if (++sums->rows == ROWS_AT_ONCE) flush(sums);
}

static void add_grams(const int8_t *table, const Features *features, double step, size_t labels, double *out) {
    if (features->count == 0) return;
    Sums sums = {.labels = labels};
    for (size_t at = 0; at < features->count; at++) add_row(&sums, table + (size_t)features->buckets[at] * labels);
    flush(&sums);
    const double each = step / sqrt((double)features->count);
    for (size_t at = 0; at < labels; at++) out[at] += (double)sums.all[at] * each;
}

void class_logits(const Classes *model, const Features *whole, const Features *edges, const float *vector, double *out) {
    const size_t labels = model->labels;
    for (size_t at = 0; at < labels; at++) out[at] = (double)model->bias[at];
    for (size_t number = 0; number < model->width; number++) {
        const double value = (double)vector[number];
        const float *weights = model->embedding + number * labels;
        for (size_t at = 0; at < labels; at++) out[at] += value * (double)weights[at];
    }
    for (size_t number = 0; number < SURFACES; number++) {
        double standard = (whole->surface[number] - (double)model->mean[number]) / (double)model->deviation[number];
        if (standard > FAR_AWAY) standard = FAR_AWAY;
        if (standard < -FAR_AWAY) standard = -FAR_AWAY;
        const float *weights = model->surface + number * labels;
        for (size_t at = 0; at < labels; at++) out[at] += standard * (double)weights[at];
    }
    add_grams(model->grams, whole, model->gram_step, labels, out);
    add_grams(model->edges, edges, model->edge_step, labels, out);
}

/* Words of small letters with a blank before, between and behind them; how many bytes, 1 without any. */
static size_t read_words(const uint8_t *data, size_t size, uint8_t *words) {
    size_t length = 1;
    words[0] = ' ';
    for (size_t at = 0; at < size; at++) {
        const uint8_t byte = data[at];
        if (byte >= 128 || (byte >= 'a' && byte <= 'z'))
            words[length++] = byte;
        else if (byte >= 'A' && byte <= 'Z')
            words[length++] = (uint8_t)(byte + 32);
        else if (words[length - 1] != ' ')
            words[length++] = ' ';
    }
    if (words[length - 1] != ' ') words[length++] = ' ';
    return length;
}

static uint32_t bucket_of(uint32_t hash) {
    hash *= 2654435761u;
    hash ^= hash >> 15;
    hash *= 0x85EBCA6Bu;
    return hash >> 16;
}

int tell_language(const Languages *model, const uint8_t *data, size_t size, uint8_t *words, Told *told) {
    const size_t length = read_words(data, size, words), labels = model->labels;
    if (length < 2 || labels == 0) return -1;
    Sums sums = {.labels = labels};
    for (size_t at = 0; at < length; at++) {
        uint32_t hash = words[at];
        for (size_t order = 2; order <= ORDERS && at + order <= length; order++) {
            hash = hash * 0x01000193u + words[at + order - 1];
            add_row(&sums, model->weights + (size_t)bucket_of(hash) * labels);
        }
    }
    flush(&sums);
    double best = -INFINITY, next = -INFINITY;
    told->best = 0;
    for (size_t at = 0; at < labels; at++) {
        const double value = (double)sums.all[at] * model->step + (double)model->bias[at];
        if (value > best) {
            next = best;
            best = value;
            told->best = at;
        } else if (value > next) {
            next = value;
        }
    }
    told->margin = best - next;
    return 0;
}

void word_scores(const Languages *model, const uint8_t *words, size_t size, float *out) {
    const size_t labels = model->labels;
    for (size_t at = 0; at + 1 < size; out += labels) {
        int32_t sums[MOST_LABELS] = {0};
        do { /* the n-grams that begin with the blank before the word or within it */
            uint32_t hash = words[at];
            for (size_t order = 2; order <= ORDERS && at + order <= size; order++) {
                hash = hash * 0x01000193u + words[at + order - 1];
                const int8_t *row = model->weights + (size_t)bucket_of(hash) * labels;
                for (size_t label = 0; label < labels; label++) sums[label] += row[label];
            }
            at++;
        } while (words[at] != ' ');
        for (size_t label = 0; label < labels; label++) out[label] = (float)sums[label] * (float)model->step;
    }
}

enum { LEAST_LETTERS = 20 };

typedef struct {
    size_t size;  /* words */
    double least; /* log-odds by which the best class that was not measured beats the best that was */
} WindowKind;

/* `before` and `behind`: sums over the words up to a window and up to its end. */
static double margin_of(const Languages *model, const uint8_t *measured, const float *before, const float *behind) {
    double best = -INFINITY, other = -INFINITY;
    for (size_t label = 0; label < model->labels; label++) {
        const double value = (double)behind[label] - (double)before[label] + (double)model->bias[label];
        double *most = measured[label] ? &best : &other;
        if (value > *most) *most = value;
    }
    return other - best;
}

int strong_windows(const Languages *model, const uint8_t *measured, const uint8_t *words, size_t size, Window *windows,
                   size_t *found) {
    const size_t labels = model->labels;
    size_t count = 0;
    for (size_t at = 0; at + 1 < size; at++) count += words[at] == ' ';
    float *sums = malloc((count + 1) * labels * sizeof *sums);
    size_t *letters = malloc((count + 1) * sizeof *letters); /* in front of each word */
    *found = 0;
    if (sums == NULL || letters == NULL) {
        free(sums);
        free(letters);
        return -2;
    }
    for (size_t label = 0; label < labels; label++) sums[label] = 0.0f;
    word_scores(model, words, size, sums + labels);
    for (size_t at = labels; at < (count + 1) * labels; at++) sums[at] += sums[at - labels];
    for (size_t at = 0, word = 0; at < size; at++)
        if (words[at] == ' ' && word <= count) {
            letters[word] = at - word;
            word++;
        }
    const WindowKind kinds[WINDOW_KINDS] = {{5, 7.0}, {10, 5.0}, {20, 4.0}, {count < 40 ? count : 40, 3.0}};
    for (int kind = 0; kind < WINDOW_KINDS; kind++) {
        const size_t width = kinds[kind].size;
        if (kind < WINDOW_KINDS - 1 && width >= count) continue; /* the last is all of a short text */
        for (size_t first = 0; first + width <= count; first++) {
            if (letters[first + width] - letters[first] < LEAST_LETTERS) continue;
            const float *before = sums + first * labels;
            if (margin_of(model, measured, before, before + width * labels) >= kinds[kind].least)
                windows[(*found)++] = (Window){first, first + width};
        }
    }
    free(sums);
    free(letters);
    return 0;
}
