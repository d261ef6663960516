/* The module `classifiers.native._kernels`: a table of functions, and what it was made from. */
#include "bindings.h"

#ifndef KERNELS_SOURCE
#error "compile with classifiers/native/compiling.py, which says what the sources were"
#endif

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))bound_##name, METH_FASTCALL, NULL}

static PyMethodDef methods[] = {
    METHOD(features),
    METHOD(contents),
    METHOD(linear),
    METHOD(logit),
    METHOD(words),
    METHOD(find),
    METHOD(embedding),
    METHOD(vector),
    METHOD(classes),
    METHOD(class_logits),
    METHOD(languages),
    METHOD(tell_language),
    METHOD(word_scores),
    METHOD(strong_windows),
    METHOD(form_of),
    METHOD(expert),
    METHOD(expert_logit),
    METHOD(meaning),
    METHOD(meaning_logits),
    METHOD(tagger),
    METHOD(keep),
    METHOD(learn),
    METHOD(tag),
    METHOD(look),
    METHOD(tokens),
    METHOD(prefilter),
    METHOD(prefilter_ends),
    METHOD(strangeness),
    METHOD(strange_runs),
    METHOD(prose_parts),
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {
    .m_base = {.ob_refcnt = 1}, .m_name = "_kernels", .m_doc = NULL, .m_size = -1, .m_methods = methods,
};

#if defined(__GNUC__)
__attribute__((visibility("default")))
#endif
PyObject *PyInit__kernels(void) {
    PyObject *module = PyModule_Create2(&definition, 3);
    if (module == NULL) return NULL;
    if (PyModule_AddStringConstant(module, "SOURCE", KERNELS_SOURCE) != 0) {
        Py_DecRef(module);
        return NULL;
    }
    return module;
}
