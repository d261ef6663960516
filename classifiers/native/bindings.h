/* What Python calls, one function a line; each file `*_binding.c` turns objects into pointers with lengths for one
 * concern. All of them are METH_FASTCALL. */
#ifndef GATEHOUSE_BINDINGS_H
#define GATEHOUSE_BINDINGS_H

#include "features.h"
#include "python_abi.h"
#include "words.h"

#define BOUND(name) PyObject *name(PyObject *self, PyObject *const *args, Py_ssize_t count)

BOUND(bound_features);
BOUND(bound_contents);
BOUND(bound_linear);
BOUND(bound_logit);
BOUND(bound_words);
BOUND(bound_find);
BOUND(bound_embedding);
BOUND(bound_vector);
BOUND(bound_classes);
BOUND(bound_class_logits);
BOUND(bound_languages);
BOUND(bound_tell_language);
BOUND(bound_word_scores);
BOUND(bound_strong_windows);
BOUND(bound_form_of);
BOUND(bound_expert);
BOUND(bound_expert_logit);
BOUND(bound_meaning);
BOUND(bound_meaning_logits);
BOUND(bound_tagger);
BOUND(bound_keep);
BOUND(bound_learn);
BOUND(bound_tag);
BOUND(bound_look);
BOUND(bound_tokens);
BOUND(bound_prefilter);
BOUND(bound_prefilter_ends);
BOUND(bound_strangeness);
BOUND(bound_strange_runs);
BOUND(bound_prose_parts);

/* The bytes of a `bytes` object, or of a `str` in UTF-8. -1 with an error set where it is neither, or holds a lone
 * surrogate. They live as long as the object. */
int bytes_of(PyObject *object, const uint8_t **data, size_t *size);

/* A model in C: its arrays are buffers of Python objects, and its tables other capsules, held until the capsule goes. */
enum { MOST_ARRAYS = 12, MOST_OBJECTS = 4 };
typedef struct {
    Py_buffer held[MOST_ARRAYS];
    int count;
    PyObject *kept[MOST_OBJECTS];
    int objects;
} Arrays;

/* Hold the next array; NULL with an error set unless it is contiguous and of exactly `size` bytes (any size if < 0). */
const void *hold(Arrays *arrays, PyObject *object, Py_ssize_t size);
int keep(Arrays *arrays, PyObject *object);
const Linear *hold_linear(Arrays *arrays, PyObject *object);
const Words *hold_words(Arrays *arrays, PyObject *object);
/* What `features` made; NULL with an error set for anything else. */
const Features *features_of(PyObject *capsule);
void release(Arrays *arrays);

/* A list of numbers. */
PyObject *floats(const double *values, size_t count);
/* A list of pairs of numbers, which stand one after the other. */
PyObject *pairs(const size_t *values, size_t count);

/* Set a TypeError unless `count` is what a function takes. */
int takes(Py_ssize_t count, Py_ssize_t wanted);

#endif
