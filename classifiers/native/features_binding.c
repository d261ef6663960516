#include <stdlib.h>

#include "bindings.h"
#include "features.h"

static const char FEATURES[] = "gatehouse.features";
static const char LINEAR[] = "gatehouse.linear";

static void free_features(PyObject *capsule) { free(PyCapsule_GetPointer(capsule, FEATURES)); }

/* features(data) -> what the models read: `data` are the bytes that `classifiers.features.data_of` makes of a text. */
BOUND(bound_features) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 1) || bytes_of(args[0], &data, &size)) return NULL;
    Features *features = malloc(features_size(size));
    if (features == NULL) return PyErr_NoMemory();
    if (read_features(data, size, features)) {
        free(features);
        PyErr_SetString(PyExc_ValueError, "a text stands between two blanks");
        return NULL;
    }
    PyObject *capsule = PyCapsule_New(features, FEATURES, free_features);
    if (capsule == NULL) free(features);
    return capsule;
}

const Features *features_of(PyObject *capsule) { return PyCapsule_GetPointer(capsule, FEATURES); }

/* contents(features) -> (buckets as int32, surface counts as doubles), both bytes: for tests. */
BOUND(bound_contents) {
    (void)self;
    if (takes(count, 1)) return NULL;
    const Features *features = PyCapsule_GetPointer(args[0], FEATURES);
    if (features == NULL) return NULL;
    PyObject *pair = PyTuple_New(2);
    if (pair == NULL) return NULL;
    PyObject *buckets =
        PyBytes_FromStringAndSize((const char *)features->buckets, (Py_ssize_t)(features->count * sizeof(int32_t)));
    PyObject *surface =
        PyBytes_FromStringAndSize((const char *)features->surface, (Py_ssize_t)sizeof features->surface);
    if (buckets == NULL || surface == NULL || PyTuple_SetItem(pair, 0, buckets) || PyTuple_SetItem(pair, 1, surface)) {
        Py_DecRef(pair);
        return NULL;
    }
    return pair;
}

typedef struct {
    Linear model;
    Arrays arrays;
} Held;

static void free_linear(PyObject *capsule) {
    Held *held = PyCapsule_GetPointer(capsule, LINEAR);
    if (held == NULL) return;
    release(&held->arrays);
    free(held);
}

/* linear(grams, surface, mean, deviation, step, bias) -> a model that holds these arrays. */
BOUND(bound_linear) {
    (void)self;
    if (takes(count, 6)) return NULL;
    Held *held = calloc(1, sizeof(Held));
    if (held == NULL) return PyErr_NoMemory();
    const Py_ssize_t doubles = SURFACES * (Py_ssize_t)sizeof(double);
    Linear *model = &held->model;
    PyObject *capsule = NULL;
    if ((model->grams = hold(&held->arrays, args[0], BUCKET_COUNT)) != NULL &&
        (model->surface = hold(&held->arrays, args[1], doubles)) != NULL &&
        (model->mean = hold(&held->arrays, args[2], doubles)) != NULL &&
        (model->deviation = hold(&held->arrays, args[3], doubles)) != NULL) {
        model->step = PyFloat_AsDouble(args[4]);
        model->bias = PyFloat_AsDouble(args[5]);
        if (PyErr_Occurred() == NULL) capsule = PyCapsule_New(held, LINEAR, free_linear);
    }
    if (capsule == NULL) {
        release(&held->arrays);
        free(held);
    }
    return capsule;
}

/* logit(model, features) -> the log-odds. */
BOUND(bound_logit) {
    (void)self;
    if (takes(count, 2)) return NULL;
    const Held *held = PyCapsule_GetPointer(args[0], LINEAR);
    const Features *features = held == NULL ? NULL : PyCapsule_GetPointer(args[1], FEATURES);
    if (features == NULL) return NULL;
    return PyFloat_FromDouble(linear_logit(&held->model, features));
}

const Linear *hold_linear(Arrays *arrays, PyObject *object) {
    const Held *held = PyCapsule_GetPointer(object, LINEAR);
    return held == NULL || keep(arrays, object) ? NULL : &held->model;
}
