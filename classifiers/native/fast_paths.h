/* The same code twice: for any processor of the architecture, and for those with AVX2, told apart when it runs. Without
 * contraction both round alike. */
#ifndef GATEHOUSE_FAST_PATHS_H
#define GATEHOUSE_FAST_PATHS_H

#if defined(__x86_64__) && defined(__GNUC__)
#define TWO_PATHS(type, name, parameters, body, arguments)                                        \
    __attribute__((target("avx2"))) static type name##_avx2 parameters { body; }                   \
    static type name##_any parameters { body; }                                                    \
    static type name parameters {                                                                  \
        if (__builtin_cpu_supports("avx2")) name##_avx2 arguments;                                 \
        else name##_any arguments;                                                                 \
    }
#else
#define TWO_PATHS(type, name, parameters, body, arguments) \
    static type name parameters { body; }
#endif

#endif
