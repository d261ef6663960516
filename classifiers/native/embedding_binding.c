#include <stdlib.h>

#include "bindings.h"
#include "embedding.h"
#include "forms.h"

static const char EMBEDDING[] = "gatehouse.embedding";
static const char EXPERT[] = "gatehouse.expert";

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

/* form_of(data) -> which form a prompt in ASCII has. */
BOUND(bound_form_of) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 1) || bytes_of(args[0], &data, &size)) return NULL;
    return PyLong_FromSsize_t(form_of(data, size));
}

typedef struct {
    const Linear *linear;
    const Embedding *embedding;
    const float *weights; /* the embedding's width */
    Arrays arrays;
} Expert;

static void free_expert(PyObject *capsule) {
    Expert *expert = PyCapsule_GetPointer(capsule, EXPERT);
    if (expert == NULL) return;
    release(&expert->arrays);
    free(expert);
}

/* expert(linear, embedding, weights) -> a linear model that also weighs the numbers of a text's vector. */
BOUND(bound_expert) {
    (void)self;
    if (takes(count, 3)) return NULL;
    Expert *expert = calloc(1, sizeof(Expert));
    if (expert == NULL) return PyErr_NoMemory();
    Arrays *arrays = &expert->arrays;
    PyObject *capsule = NULL;
    if ((expert->linear = hold_linear(arrays, args[0])) != NULL) {
        const Held *held = PyCapsule_GetPointer(args[1], EMBEDDING);
        if (held != NULL && keep(arrays, args[1]) == 0) {
            expert->embedding = &held->model;
            expert->weights = hold(arrays, args[2], (Py_ssize_t)(held->model.width * sizeof(float)));
            if (expert->weights != NULL) capsule = PyCapsule_New(expert, EXPERT, free_expert);
        }
    }
    if (capsule == NULL) {
        release(arrays);
        free(expert);
    }
    return capsule;
}

/* expert_logit(expert, features, data) -> the log-odds; `data` as for `vector`. */
BOUND(bound_expert_logit) {
    (void)self;
    const uint8_t *data;
    size_t size;
    float vector[MOST_WIDTH];
    if (takes(count, 3)) return NULL;
    const Expert *expert = PyCapsule_GetPointer(args[0], EXPERT);
    const Features *features = expert == NULL ? NULL : features_of(args[1]);
    if (features == NULL || bytes_of(args[2], &data, &size)) return NULL;
    if (embedding_vector(expert->embedding, data, size, vector)) return PyErr_NoMemory();
    double value = linear_logit(expert->linear, features);
    for (size_t at = 0; at < expert->embedding->width; at++) value += (double)vector[at] * (double)expert->weights[at];
    return PyFloat_FromDouble(value);
}
