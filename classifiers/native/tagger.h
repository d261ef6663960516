/* The tagger of names, as classifiers/tagger.py and tagger_features.py have it: tokens, what each looks like, three layers.
 * What a token looks like that is not ASCII comes from Python, once. */
#ifndef GATEHOUSE_TAGGER_H
#define GATEHOUSE_TAGGER_H

#include <stddef.h>
#include <stdint.h>

#include "names.h"

enum {
    LOOKS = 32,              /* numbers of what a token looks like */
    HIDDEN = 48,             /* of the first layer, which sees NEIGHBOURS tokens */
    NEIGHBOURS = 5,
    DEEP = 32,               /* of the second, which sees PLACES of the first and a mean */
    PLACES = 5,
    PLACE_STEP = 2,          /* tokens from one place to the next */
    LABEL_COUNT = 9,
    ABOUT = 24,              /* tokens to each side that the mean is over */
    WALLS = 6,               /* tokens that stand for a wall, to each side */
    ROW = NEIGHBOURS * HIDDEN,
    WORD_BUCKETS = 1 << 15,
    FIRST_KNOWN = WORD_BUCKETS + (1 << 10), /* the bucket of the first known word */
    WORDS = 1 << 13,         /* remembered; then all but the usual are forgotten */
    USUAL = 1 << 12,         /* of these at most */
    WORD_SIZE = 95,          /* bytes; a longer ASCII token is looked at each time */
    MOST_FEATURES = 21,
    CLASSED = 1 << 17        /* code points whose class is known */
};

enum { LETTER, DIGIT, BLANK, UNDERSCORE, MARK }; /* of a code point */

typedef struct {
    const int8_t *looks;     /* FIRST_KNOWN + known_count x LOOKS */
    const float *near;       /* LOOKS x ROW: what a step of a look adds to each neighbour, side by side */
    const float *near_bias;  /* ROW */
    const float *far;        /* HIDDEN x (PLACES + 1) * DEEP, the last DEEP for the mean */
    const float *far_bias;   /* DEEP */
    const float *out;        /* DEEP x LABEL_COUNT */
    const float *out_bias;   /* LABEL_COUNT */
    const uint8_t *classes;  /* CLASSED */
    Names listed;
    const uint32_t *known;   /* slots of known words in `listed`, in order */
    size_t known_count;
    float step;              /* a row holds whole numbers of it */
    float steps;             /* so many to each side at most */
} TaggerWeights;

typedef struct Tagger Tagger;

typedef struct {
    const uint8_t *data;
    size_t size;
} Token;

typedef struct {
    size_t token;
    int label;
    double chance; /* that it is any label at all */
} Sure;

/* NULL without memory. The weights must outlive it. */
Tagger *tagger_new(const TaggerWeights *weights);
void tagger_free(Tagger *tagger);

/* Remember an ASCII token beforehand, for good. -1 when there is no room for more usual ones, or it is no such token. */
int tagger_keep(Tagger *tagger, const uint8_t *word, size_t size);

/* Remember a token that looks like these buckets. -1 for a bucket that there is none of, or a token that is too long. */
int tagger_learn(Tagger *tagger, const uint8_t *word, size_t size, const int32_t *buckets, size_t count);

#define NO_TOKENS ((size_t)-1)

/* The tokens of a text in UTF-8, at most one a byte: their number, or NO_TOKENS where it is none, or has code points
 * without a class. `tokens` has room for `size`. */
size_t tagger_tokenize(const uint8_t *classes, const uint8_t *text, size_t size, Token *tokens);

/* The buckets of an ASCII token; how many. */
int tagger_features(const TaggerWeights *weights, const uint8_t *token, size_t size, uint32_t found[MOST_FEATURES]);

typedef enum { TAGGED, NO_MEMORY, UNSEEN, TOO_MANY } Tagged;

/* LABEL_COUNT numbers for each token. UNSEEN: tokens that are not ASCII are to be learned first; `count` of them stand in
 * `unseen` then, which has room for `count`. TOO_MANY: too long ones of these, or more words than are remembered. */
Tagged tagger_logits(Tagger *tagger, const Token *tokens, size_t count, float *logits, Token *unseen, size_t *unseen_count);

/* The tokens that are any label with a chance above `floor`; their number. `found` has room for `count`. */
size_t tagger_sure(const float *logits, size_t count, double floor, Sure *found);

#endif
