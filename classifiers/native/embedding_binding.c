#include <stdlib.h>

#include "bindings.h"
#include "embedding.h"

static const char EMBEDDING[] = "gatehouse.embedding";

typedef struct {
    Embedding model;
    Arrays arrays;
} Held;

static void free_held(Held *held) {
    release(&held->arrays);
    free(held);
}

static void free_embedding(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, EMBEDDING);
    if (held != NULL) free_held(held);
}

/* embedding(first, later, table, scale) -> a model that holds these; a row for each word of both tables. */
BOUND(bound_embedding) {
    (void)self;
    if (takes(count, 4)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    Embedding *model = &held->model;
    Arrays *arrays = &held->arrays;
    PyObject *capsule = NULL;
    if ((model->first = hold_words(arrays, args[0])) != NULL && (model->later = hold_words(arrays, args[1])) != NULL &&
        (model->table = hold(arrays, args[2], -1)) != NULL &&
        (model->scale = hold(arrays, args[3], (Py_ssize_t)(model->first->count * sizeof(float)))) != NULL) {
        const size_t rows = model->first->count, bytes = (size_t)arrays->held[0].len;
        model->width = bytes / rows;
        if (model->later->count != rows || model->width * rows != bytes || model->width > MOST_WIDTH)
            PyErr_SetString(PyExc_ValueError, "the arrays of an embedding do not belong together");
        else
            capsule = PyCapsule_New(held, EMBEDDING, free_embedding);
    }
    if (capsule == NULL) free_held(held);
    return capsule;
}

/* vector(model, data) -> the bytes of 32-bit floats. */
BOUND(bound_vector) {
    (void)self;
    const uint8_t *data;
    size_t size;
    float out[MOST_WIDTH];
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], EMBEDDING);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    if (embedding_vector(&held->model, data, size, out)) return PyErr_NoMemory();
    return PyBytes_FromStringAndSize((const char *)out, (Py_ssize_t)(held->model.width * sizeof(float)));
}
