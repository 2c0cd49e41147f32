/* Linked into each test that rig_test() builds without THREADS: starting a thread ends it. Weak, for where the lab is
 * linked too, its own is taken: what needs it only for its types is not watched. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((weak)) int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*),
                                         void* argument) {
  (void)thread;
  (void)attributes;
  (void)start;
  (void)argument;
  fputs("this test starts a thread, and its rig_test() line does not say THREADS: the preset tsan would leave it out\n",
        stderr);
  abort();
}
