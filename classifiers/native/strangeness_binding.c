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

static PyObject *pair(size_t first, size_t second) {
    PyObject *both = PyTuple_New(2), *low = PyLong_FromSsize_t((Py_ssize_t)first);
    PyObject *high = PyLong_FromSsize_t((Py_ssize_t)second);
    if (both != NULL && low != NULL && high != NULL) { /* what is set belongs to the pair */
        PyTuple_SetItem(both, 0, low);
        PyTuple_SetItem(both, 1, high);
        return both;
    }
    if (both != NULL) Py_DecRef(both);
    if (low != NULL) Py_DecRef(low);
    if (high != NULL) Py_DecRef(high);
    return NULL;
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
    PyObject *list = PyList_New((Py_ssize_t)found);
    for (size_t at = 0; list != NULL && at < found; at++) {
        PyObject *run = pair(runs[at].first, runs[at].stop);
        if (run == NULL || PyList_SetItem(list, (Py_ssize_t)at, run)) {
            Py_DecRef(list);
            list = NULL;
        }
    }
    free(word);
    free(runs);
    return list;
}
