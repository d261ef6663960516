#include <stdlib.h>

#include "bindings.h"
#include "meaning.h"

static const char MEANING[] = "gatehouse.meaning";

typedef struct {
    Meaning model;
    Arrays arrays;
} Held;

static void free_held(Held *held) {
    release(&held->arrays);
    free(held);
}

static void free_meaning(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, MEANING);
    if (held != NULL) free_held(held);
}

/* meaning(words, rows, steps, inner, outer, bias) -> a model that holds these arrays. */
BOUND(bound_meaning) {
    (void)self;
    if (takes(count, 6)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    Meaning *model = &held->model;
    Arrays *arrays = &held->arrays;
    const Py_ssize_t one = (Py_ssize_t)sizeof(double);
    PyObject *capsule = NULL;
    if ((model->words = hold_words(arrays, args[0])) != NULL && (model->steps = hold(arrays, args[2], -1)) != NULL) {
        const Py_ssize_t hidden = arrays->held[0].len / one;
        if ((model->bias = hold(arrays, args[5], -1)) != NULL) {
            const Py_ssize_t classes = arrays->held[1].len / one;
            const Py_ssize_t numbers = (Py_ssize_t)model->words->distinct + MEANING_RESERVED + MEANING_PAIRS;
            model->hidden = (size_t)hidden;
            model->classes = (size_t)classes;
            if (hidden > MOST_HIDDEN || classes > MOST_CLASSES)
                PyErr_SetString(PyExc_ValueError, "a model of meaning is larger than the kernel takes");
            else if ((model->rows = hold(arrays, args[1], numbers * hidden)) != NULL &&
                     (model->inner = hold(arrays, args[3], hidden * one)) != NULL &&
                     (model->outer = hold(arrays, args[4], hidden * classes * one)) != NULL)
                capsule = PyCapsule_New(held, MEANING, free_meaning);
        }
    }
    if (capsule == NULL) free_held(held);
    return capsule;
}

/* meaning_logits(model, data) -> a list with the value of each class. */
BOUND(bound_meaning_logits) {
    (void)self;
    const uint8_t *data;
    size_t size;
    double values[MOST_CLASSES];
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], MEANING);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    if (meaning_logits(&held->model, data, size, values)) return PyErr_NoMemory();
    return floats(values, held->model.classes);
}
