# Included by cmake right after llama.cpp's own project() call (CMAKE_PROJECT_<name>_INCLUDE): leaves out the library that
# llama.cpp's command line programs share. Nothing here uses it, and it is two fifths of the compiling.
set(LLAMA_BUILD_COMMON OFF)
