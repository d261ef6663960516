#include <stdlib.h>

#include "bindings.h"
#include "prefilter.h"

static const char PREFILTER[] = "gatehouse.prefilter";

typedef struct {
    Prefilter model;
    size_t most; /* chains */
    Arrays arrays;
} Held;

static void free_held(Held *held) {
    release(&held->arrays);
    free(held);
}

static void free_prefilter(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, PREFILTER);
    if (held != NULL) free_held(held);
}

/* prefilter(first, last, masks, gaps) -> a model that holds these arrays. */
BOUND(bound_prefilter) {
    (void)self;
    if (takes(count, 4)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    Prefilter *model = &held->model;
    const Py_ssize_t block = PREFILTER_LANES * (Py_ssize_t)sizeof(uint64_t);
    PyObject *capsule = NULL;
    if ((model->first = hold(&held->arrays, args[0], -1)) != NULL) {
        const Py_ssize_t size = held->arrays.held[0].len;
        model->blocks = (size_t)(size / block);
        if (size % block)
            PyErr_SetString(PyExc_ValueError, "a prefilter is not made of whole blocks");
        else if ((model->last = hold(&held->arrays, args[1], size)) != NULL &&
                 (model->masks = hold(&held->arrays, args[2], 256 * size)) != NULL &&
                 (model->gaps = hold(&held->arrays, args[3], -1)) != NULL) {
            const Py_ssize_t gaps = held->arrays.held[3].len;
            model->gapped = (size_t)(gaps / (256 * block));
            if (gaps % (256 * block) || gaps > 256 * size)
                PyErr_SetString(PyExc_ValueError, "the gaps of a prefilter are not those of its first blocks");
            else
                capsule = PyCapsule_New(held, PREFILTER, free_prefilter);
        }
    }
    if (capsule == NULL) {
        if (PyErr_Occurred() == NULL) PyErr_SetString(PyExc_ValueError, "a prefilter is empty");
        free_held(held);
        return NULL;
    }
    for (size_t word = 0; word < model->blocks * PREFILTER_LANES; word++)
        for (uint64_t left = model->last[word]; left; left &= left - 1) held->most++;
    return capsule;
}

/* prefilter_ends(model, data) -> a list with the last steps of the chains that stand in it, in order. */
BOUND(bound_prefilter_ends) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], PREFILTER);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    uint32_t *ends = malloc((held->most + 1) * sizeof *ends);
    if (ends == NULL) return PyErr_NoMemory();
    const size_t found = prefilter_ends(&held->model, data, size, ends);
    PyObject *list = PyList_New((Py_ssize_t)found);
    for (size_t at = 0; list != NULL && at < found; at++) {
        PyObject *number = PyLong_FromSsize_t((Py_ssize_t)ends[at]);
        if (number == NULL || PyList_SetItem(list, (Py_ssize_t)at, number)) {
            Py_DecRef(list);
            list = NULL;
        }
    }
    free(ends);
    return list;
}
