#include <stdlib.h>
#include <string.h>

#include "bindings.h"
#include "tagger.h"

static const char TAGGER[] = "gatehouse.tagger";

typedef struct {
    Tagger *tagger;
    TaggerWeights weights;
    Arrays arrays;
} Held;

static void let_go(Held *held) {
    if (held == NULL) return;
    if (held->tagger != NULL) tagger_free(held->tagger);
    release(&held->arrays);
    free(held);
}

static void free_tagger(PyObject *capsule) { let_go(PyCapsule_GetPointer(capsule, TAGGER)); }

/* tagger(looks, near, near_bias, far, far_bias, out, out_bias, classes, used, before, bits, known, step, steps) -> a tagger
 * that holds these arrays: `looks` and `classes` are bytes, the others 32-bit numbers (`near` and `far` side by side, as
 * classifiers.tagger.Tagger has them), `used`, `before` and `bits` those of classifiers.name_table. Behind the other rows of
 * `looks` stands one for each known word. */
BOUND(bound_tagger) {
    (void)self;
    if (takes(count, 14)) return NULL;
    const Py_ssize_t sizes[12] = {
        -1, (Py_ssize_t)LOOKS * ROW * 4, (Py_ssize_t)ROW * 4,
        (Py_ssize_t)HIDDEN * (PLACES + 1) * DEEP * 4, (Py_ssize_t)DEEP * 4, (Py_ssize_t)DEEP * LABEL_COUNT * 4,
        (Py_ssize_t)LABEL_COUNT * 4, (Py_ssize_t)CLASSED, (Py_ssize_t)LISTED_SLOTS / 8,
        (Py_ssize_t)LISTED_BLOCKS * 4, -1, -1,
    };
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    const void *arrays[12];
    PyObject *capsule = NULL;
    int complete = 1;
    for (int at = 0; at < 12 && complete; at++) complete = (arrays[at] = hold(&held->arrays, args[at], sizes[at])) != NULL;
    if (complete) {
        const size_t known = (size_t)held->arrays.held[11].len / sizeof(uint32_t);
        held->weights = (TaggerWeights){
            arrays[0], arrays[1], arrays[2], arrays[3], arrays[4], arrays[5], arrays[6], arrays[7],
            {arrays[8], arrays[9], arrays[10]}, arrays[11], known, (float)PyFloat_AsDouble(args[12]),
            (float)PyFloat_AsDouble(args[13]),
        };
        complete = PyErr_Occurred() == NULL;
    }
    if (complete && !(held->weights.step > 0.0f && held->weights.steps > 0.0f && held->weights.steps <= 6000.0f)) {
        PyErr_SetString(PyExc_ValueError, "a step is positive, and five of the most steps fit into 16 bits");
        complete = 0;
    }
    if (complete && (size_t)held->arrays.held[0].len != (FIRST_KNOWN + held->weights.known_count) * LOOKS) {
        PyErr_SetString(PyExc_ValueError, "an array of a model has the wrong size");
        complete = 0;
    }
    if (complete && !names_agree(&held->weights.listed, (size_t)held->arrays.held[10].len)) {
        PyErr_SetString(PyExc_ValueError, "a table of names whose counts are not those of its bits");
        complete = 0;
    }
    if (complete && (held->tagger = tagger_new(&held->weights)) == NULL) {
        PyErr_NoMemory();
        complete = 0;
    }
    if (complete) capsule = PyCapsule_New(held, TAGGER, free_tagger);
    if (capsule == NULL) let_go(held);
    return capsule;
}

static PyObject *none(void) {
    Py_IncRef(Py_None);
    return Py_None;
}

/* keep(tagger, word): remember an ASCII token for good. */
BOUND(bound_keep) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 2)) return NULL;
    Held *held = PyCapsule_GetPointer(args[0], TAGGER);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    if (tagger_keep(held->tagger, data, size)) {
        PyErr_SetString(PyExc_ValueError, "no usual word, or too many of them");
        return NULL;
    }
    return none();
}

/* learn(tagger, word, buckets): what a token that is not ASCII looks like; 32-bit integers. */
BOUND(bound_learn) {
    (void)self;
    const uint8_t *data, *word;
    size_t size, word_size;
    if (takes(count, 3)) return NULL;
    Held *held = PyCapsule_GetPointer(args[0], TAGGER);
    if (held == NULL || bytes_of(args[1], &word, &word_size) || bytes_of(args[2], &data, &size)) return NULL;
    int32_t buckets[MOST_FEATURES];
    const size_t found = size / sizeof(int32_t);
    if (found <= MOST_FEATURES) memcpy(buckets, data, found * sizeof(int32_t));
    if (found > MOST_FEATURES || tagger_learn(held->tagger, word, word_size, buckets, found)) {
        PyErr_SetString(PyExc_ValueError, "a word that is too long, or buckets that there are none of");
        return NULL;
    }
    return none();
}

static PyObject *pair(PyObject *first, PyObject *second) {
    PyObject *made = first == NULL || second == NULL ? NULL : PyTuple_New(2);
    if (made == NULL) {
        if (first != NULL) Py_DecRef(first);
        if (second != NULL) Py_DecRef(second);
        return NULL;
    }
    PyTuple_SetItem(made, 0, first);
    PyTuple_SetItem(made, 1, second);
    return made;
}

/* Where tokens end in a text, as 32-bit integers. */
static PyObject *ends_of(const uint8_t *text, const Token *tokens, size_t count) {
    int32_t *ends = malloc((count + 1) * sizeof *ends);
    if (ends == NULL) return PyErr_NoMemory();
    for (size_t at = 0; at < count; at++) ends[at] = (int32_t)(tokens[at].data + tokens[at].size - text);
    PyObject *made = PyBytes_FromStringAndSize((const char *)ends, (Py_ssize_t)(count * sizeof *ends));
    free(ends);
    return made;
}

static PyObject *list_of_sure(const Sure *found, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t at = 0; list != NULL && at < count; at++) {
        PyObject *label = PyLong_FromSsize_t(found[at].label), *chance = PyFloat_FromDouble(found[at].chance);
        PyObject *item = PyTuple_New(3), *token = PyLong_FromSsize_t((Py_ssize_t)found[at].token);
        if (item == NULL || token == NULL || label == NULL || chance == NULL) {
            Py_DecRef(list);
            return NULL;
        }
        PyTuple_SetItem(item, 0, token);
        PyTuple_SetItem(item, 1, label);
        PyTuple_SetItem(item, 2, chance);
        PyList_SetItem(list, (Py_ssize_t)at, item);
    }
    return list;
}

static PyObject *list_of_words(const Token *words, size_t count) {
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t at = 0; list != NULL && at < count; at++) {
        PyObject *word = PyBytes_FromStringAndSize((const char *)words[at].data, (Py_ssize_t)words[at].size);
        if (word == NULL) {
            Py_DecRef(list);
            return NULL;
        }
        PyList_SetItem(list, (Py_ssize_t)at, word);
    }
    return list;
}

static PyObject *tag_with(
    Held *held, const uint8_t *text, const Token *tokens, size_t count, double floor, float *logits, Sure *found,
    Token *unseen
) {
    size_t unseen_count = 0;
    switch (tagger_logits(held->tagger, tokens, count, logits, unseen, &unseen_count)) {
        case NO_MEMORY:
            return PyErr_NoMemory();
        case TOO_MANY:
            return none();
        case UNSEEN:
            return pair(list_of_words(unseen, unseen_count), none());
        default:
            break;
    }
    if (floor < 0.0)
        return PyBytes_FromStringAndSize((const char *)logits, (Py_ssize_t)(count * LABEL_COUNT * sizeof(float)));
    const size_t sure = tagger_sure(logits, count, floor, found);
    PyObject *list = list_of_sure(found, sure);
    if (sure == 0 || list == NULL) return list;
    return pair(list, ends_of(text, tokens, count));
}

/* tag(tagger, text, floor): the tokens of a text in UTF-8 that are any label with a chance above `floor`, and where all
 * tokens end: ([(token, label, chance), ...], ends); an empty list where there are none. (words, None): these are to be
 * learned first. None: it is no text for the kernel. With a floor below zero the logits of all, as 32-bit numbers. */
BOUND(bound_tag) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 3)) return NULL;
    Held *held = PyCapsule_GetPointer(args[0], TAGGER);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    const double floor = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred() != NULL) return NULL;
    if (size > INT32_MAX / 64) return none();
    Token *tokens = malloc((size + 1) * sizeof(Token));
    const size_t made = tokens == NULL ? 0 : tagger_tokenize(held->weights.classes, data, size, tokens);
    const size_t room = made == NO_TOKENS ? 0 : made + 1;
    float *logits = malloc(room * LABEL_COUNT * sizeof(float) + 1);
    Sure *found = malloc(room * sizeof(Sure) + 1);
    Token *unseen = malloc(room * sizeof(Token) + 1);
    PyObject *result;
    if (tokens == NULL || logits == NULL || found == NULL || unseen == NULL) result = PyErr_NoMemory();
    else if (made == NO_TOKENS) result = none();
    else result = tag_with(held, data, tokens, made, floor, logits, found, unseen);
    free(unseen);
    free(found);
    free(logits);
    free(tokens);
    return result;
}

/* look(tagger, token) -> the buckets of an ASCII token, as 32-bit integers: for tests. */
BOUND(bound_look) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 2)) return NULL;
    Held *held = PyCapsule_GetPointer(args[0], TAGGER);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    uint32_t found[MOST_FEATURES];
    const int buckets = tagger_features(&held->weights, data, size, found);
    return PyBytes_FromStringAndSize((const char *)found, (Py_ssize_t)((size_t)buckets * sizeof(uint32_t)));
}

/* tokens(tagger, text) -> where the tokens of a text end, as 32-bit integers; None for no text. For tests. */
BOUND(bound_tokens) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], TAGGER);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    Token *tokens = malloc((size + 1) * sizeof(Token));
    if (tokens == NULL) return PyErr_NoMemory();
    const size_t made = tagger_tokenize(held->weights.classes, data, size, tokens);
    PyObject *result = made == NO_TOKENS ? none() : ends_of(data, tokens, made);
    free(tokens);
    return result;
}
