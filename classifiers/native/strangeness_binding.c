#include <stdlib.h>

#include "bindings.h"
#include "strangeness.h"

static const char STRANGENESS[] = "gatehouse.strangeness";

typedef struct {
    Strangeness model;
    Arrays arrays;
} Held;

static void free_held(Held *held) {
    release(&held->arrays);
    free(held);
}

static void free_strangeness(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, STRANGENESS);
    if (held != NULL) free_held(held);
}

/* strangeness(words, says, step, unknown) -> a model that holds them. */
BOUND(bound_strangeness) {
    (void)self;
    if (takes(count, 4)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    Strangeness *model = &held->model;
    PyObject *capsule = NULL;
    if ((model->words = hold_words(&held->arrays, args[0])) != NULL &&
        (model->says = hold(&held->arrays, args[1], (Py_ssize_t)model->words->count)) != NULL) {
        model->step = PyFloat_AsDouble(args[2]);
        model->unknown = PyFloat_AsDouble(args[3]);
        if (PyErr_Occurred() == NULL) capsule = PyCapsule_New(held, STRANGENESS, free_strangeness);
    }
    if (capsule == NULL) free_held(held);
    return capsule;
}

/* strange_runs(model, data, least) -> a list of runs: the first word, and the one behind the last. */
BOUND(bound_strange_runs) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 3)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], STRANGENESS);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    const double least = PyFloat_AsDouble(args[2]);
    if (PyErr_Occurred() != NULL) return NULL;
    uint8_t *word = malloc(size + 1);
    Run *runs = malloc(most_runs(size) * sizeof *runs);
    if (word == NULL || runs == NULL) {
        free(word);
        free(runs);
        return PyErr_NoMemory();
    }
    const size_t found = strange_runs(&held->model, data, size, least, word, runs);
    PyObject *list = pairs((const size_t *)runs, found);
    free(word);
    free(runs);
    return list;
}
