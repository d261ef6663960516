#include <stdlib.h>

#include "bindings.h"

static const char WORDS[] = "gatehouse.words";

typedef struct {
    Words words;
    Arrays arrays;
} Held;

static void free_held(Held *held) {
    words_free(&held->words);
    release(&held->arrays);
    free(held);
}

static void free_words(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, WORDS);
    if (held != NULL) free_held(held);
}

/* words(list) -> a table of the lines of `list`, which it holds. */
BOUND(bound_words) {
    (void)self;
    if (takes(count, 1)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    const void *list = hold(&held->arrays, args[0], -1);
    if (list == NULL && PyErr_Occurred() != NULL) {
        free_held(held);
        return NULL;
    }
    if (words_build(&held->words, list == NULL ? (const uint8_t *)"" : list, (size_t)held->arrays.held[0].len)) {
        free_held(held);
        return PyErr_NoMemory();
    }
    PyObject *capsule = PyCapsule_New(held, WORDS, free_words);
    if (capsule == NULL) free_held(held);
    return capsule;
}

/* find(words, word) -> its number, or -1. */
BOUND(bound_find) {
    (void)self;
    const uint8_t *word;
    size_t size;
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], WORDS);
    if (held == NULL || bytes_of(args[1], &word, &size)) return NULL;
    return PyLong_FromSsize_t(words_find(&held->words, word, size));
}

const Words *hold_words(Arrays *arrays, PyObject *object) {
    const Held *held = PyCapsule_GetPointer(object, WORDS);
    if (held == NULL) return NULL;
    if (keep(arrays, object)) return NULL;
    return &held->words;
}
