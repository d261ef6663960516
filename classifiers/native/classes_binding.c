#include <stdlib.h>

#include "bindings.h"
#include "classes.h"

static const char CLASSES[] = "gatehouse.classes";
static const char LANGUAGES[] = "gatehouse.languages";

typedef struct {
    Classes model;
    Arrays arrays;
} HeldClasses;

typedef struct {
    Languages model;
    Arrays arrays;
} HeldLanguages;

static void free_classes(PyObject *capsule) {
    HeldClasses *held = PyCapsule_GetPointer(capsule, CLASSES);
    if (held == NULL) return;
    release(&held->arrays);
    free(held);
}

static void free_languages(PyObject *capsule) {
    HeldLanguages *held = PyCapsule_GetPointer(capsule, LANGUAGES);
    if (held == NULL) return;
    release(&held->arrays);
    free(held);
}

/* The number of labels, which an array of one float a label tells; -1 with an error set where it is too large. */
static Py_ssize_t labels_of(const Arrays *arrays) {
    const Py_ssize_t labels = arrays->held[0].len / (Py_ssize_t)sizeof(float);
    if (labels <= MOST_LABELS) return labels;
    PyErr_SetString(PyExc_ValueError, "a model has more labels than the kernel takes");
    return -1;
}

static int hold_classes(Classes *model, Arrays *arrays, PyObject *const *args) {
    const Py_ssize_t one = (Py_ssize_t)sizeof(float);
    if ((model->bias = hold(arrays, args[0], -1)) == NULL) return -1;
    const Py_ssize_t labels = labels_of(arrays);
    if (labels < 1 || (model->embedding = hold(arrays, args[1], -1)) == NULL) return -1;
    model->labels = (size_t)labels;
    model->width = (size_t)(arrays->held[1].len / (labels * one));
    if ((model->grams = hold(arrays, args[2], BUCKET_COUNT * labels)) == NULL ||
        (model->edges = hold(arrays, args[3], BUCKET_COUNT * labels)) == NULL ||
        (model->surface = hold(arrays, args[4], SURFACES * labels * one)) == NULL ||
        (model->mean = hold(arrays, args[5], SURFACES * one)) == NULL ||
        (model->deviation = hold(arrays, args[6], SURFACES * one)) == NULL)
        return -1;
    model->gram_step = PyFloat_AsDouble(args[7]);
    model->edge_step = PyFloat_AsDouble(args[8]);
    return PyErr_Occurred() == NULL ? 0 : -1;
}

/* classes(bias, embedding, grams, edges, surface, mean, deviation, gram_step, edge_step) -> a model that holds them. */
BOUND(bound_classes) {
    (void)self;
    if (takes(count, 9)) return NULL;
    HeldClasses *held = calloc(1, sizeof(HeldClasses));
    if (held == NULL) return PyErr_NoMemory();
    PyObject *capsule = NULL;
    if (hold_classes(&held->model, &held->arrays, args) == 0)
        capsule = PyCapsule_New(held, CLASSES, free_classes);
    else if (PyErr_Occurred() == NULL)
        PyErr_SetString(PyExc_ValueError, "a model has no labels");
    if (capsule == NULL) {
        release(&held->arrays);
        free(held);
    }
    return capsule;
}

/* class_logits(model, whole, edges, vector) -> a list with the log-odds of each label. */
BOUND(bound_class_logits) {
    (void)self;
    double values[MOST_LABELS];
    Arrays given = {.count = 0};
    if (takes(count, 4)) return NULL;
    const HeldClasses *held = PyCapsule_GetPointer(args[0], CLASSES);
    const Features *whole = held == NULL ? NULL : features_of(args[1]);
    const Features *edges = whole == NULL ? NULL : features_of(args[2]);
    if (edges == NULL) return NULL;
    const float *vector = hold(&given, args[3], (Py_ssize_t)(held->model.width * sizeof(float)));
    PyObject *list = NULL;
    if (vector != NULL) {
        class_logits(&held->model, whole, edges, vector, values);
        list = floats(values, held->model.labels);
    }
    release(&given);
    return list;
}

/* languages(bias, weights, step) -> a model that holds them. */
BOUND(bound_languages) {
    (void)self;
    if (takes(count, 3)) return NULL;
    HeldLanguages *held = calloc(1, sizeof(HeldLanguages));
    if (held == NULL) return PyErr_NoMemory();
    Languages *model = &held->model;
    Arrays *arrays = &held->arrays;
    PyObject *capsule = NULL;
    if ((model->bias = hold(arrays, args[0], -1)) != NULL) {
        const Py_ssize_t labels = labels_of(arrays);
        model->labels = labels < 0 ? 0 : (size_t)labels;
        if (labels >= 0 && (model->weights = hold(arrays, args[1], LANGUAGE_BUCKETS * labels)) != NULL) {
            model->step = PyFloat_AsDouble(args[2]);
            if (PyErr_Occurred() == NULL) capsule = PyCapsule_New(held, LANGUAGES, free_languages);
        }
    }
    if (capsule == NULL) {
        release(arrays);
        free(held);
    }
    return capsule;
}

/* tell_language(model, data) -> (the class, by how much it beats the next), or None for a text without a letter. */
BOUND(bound_tell_language) {
    (void)self;
    const uint8_t *data;
    size_t size;
    if (takes(count, 2)) return NULL;
    const HeldLanguages *held = PyCapsule_GetPointer(args[0], LANGUAGES);
    if (held == NULL || bytes_of(args[1], &data, &size)) return NULL;
    uint8_t *words = malloc(size + 2);
    if (words == NULL) return PyErr_NoMemory();
    Told told;
    const int none = tell_language(&held->model, data, size, words, &told);
    free(words);
    if (none) {
        Py_IncRef(Py_None);
        return Py_None;
    }
    PyObject *pair = PyTuple_New(2), *best = PyLong_FromSsize_t((Py_ssize_t)told.best);
    PyObject *margin = PyFloat_FromDouble(told.margin);
    if (pair != NULL && best != NULL && margin != NULL) { /* what is set belongs to the pair */
        PyTuple_SetItem(pair, 0, best);
        PyTuple_SetItem(pair, 1, margin);
        return pair;
    }
    if (pair != NULL) Py_DecRef(pair);
    if (best != NULL) Py_DecRef(best);
    if (margin != NULL) Py_DecRef(margin);
    return NULL;
}

/* Words for a kernel, with a blank before, between and behind them; how many blanks, or 0 with an error set. */
static size_t words_of(PyObject *object, const uint8_t **words, size_t *size) {
    size_t blanks = 0;
    if (bytes_of(object, words, size)) return 0;
    if (*size < 2 || (*words)[0] != ' ' || (*words)[*size - 1] != ' ') {
        PyErr_SetString(PyExc_ValueError, "words have a blank before and behind");
        return 0;
    }
    for (size_t at = 0; at < *size; at++) blanks += (*words)[at] == ' ';
    return blanks;
}

/* word_scores(model, words) -> bytes of floats: the words in order, each with what it says of each class. */
BOUND(bound_word_scores) {
    (void)self;
    const uint8_t *words;
    size_t size;
    if (takes(count, 2)) return NULL;
    const HeldLanguages *held = PyCapsule_GetPointer(args[0], LANGUAGES);
    const size_t blanks = held == NULL ? 0 : words_of(args[1], &words, &size);
    if (blanks == 0) return NULL;
    const size_t bytes = (blanks - 1) * held->model.labels * sizeof(float);
    float *scores = malloc(bytes + 1);
    if (scores == NULL) return PyErr_NoMemory();
    word_scores(&held->model, words, size, scores);
    PyObject *made = PyBytes_FromStringAndSize((const char *)scores, (Py_ssize_t)bytes);
    free(scores);
    return made;
}

/* strong_windows(model, measured, words) -> a list with the first word of each window, and the one behind its last. */
BOUND(bound_strong_windows) {
    (void)self;
    const uint8_t *words, *measured;
    size_t size, labels, found;
    if (takes(count, 3)) return NULL;
    const HeldLanguages *held = PyCapsule_GetPointer(args[0], LANGUAGES);
    if (held == NULL || bytes_of(args[1], &measured, &labels)) return NULL;
    if (labels != held->model.labels) {
        PyErr_SetString(PyExc_ValueError, "there is no word for each label whether it was measured");
        return NULL;
    }
    const size_t blanks = words_of(args[2], &words, &size);
    if (blanks == 0) return NULL;
    Window *windows = malloc(WINDOW_KINDS * blanks * sizeof *windows);
    if (windows == NULL || strong_windows(&held->model, measured, words, size, windows, &found)) {
        free(windows);
        return PyErr_NoMemory();
    }
    PyObject *list = pairs((const size_t *)windows, found);
    free(windows);
    return list;
}
