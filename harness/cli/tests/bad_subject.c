/* A subject that cannot be trusted: RIG_BAD says what it does when a loop is made. It never gets further. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/subjects/subject.h"

static uint32_t capabilities(const char* library) {
  return strcmp(library, "null") == 0 ? ~(uint32_t)0 : 0;
}

static void library_version(const char* library, char* text, size_t text_bytes) {
  snprintf(text, text_bytes, "%s of a bad subject", library);
}

static int shared;
static void* volatile kept;

static void* count_up(void* nothing) {
  ++shared;
  return nothing;
}

/* What only a sanitizer sees. */
static void misuse_memory(const char* what) {
  if (strcmp(what, "leak") == 0) {
    kept = malloc(1234);
    kept = NULL;
  } else if (strcmp(what, "use after free") == 0) {
    kept = malloc(16);
    free(kept);
    ((volatile char*)kept)[0] = 1;
  } else if (strcmp(what, "race") == 0) {
    pthread_t threads[2];
    pthread_create(&threads[0], NULL, count_up, NULL);
    pthread_create(&threads[1], NULL, count_up, NULL);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
  } else if (strcmp(what, "overflow") == 0) {
    shared = 0x7fffffff;
    count_up(NULL);
  }
}

static rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  const char* what = getenv("RIG_BAD");
  (void)config;
  (void)loop;
  (void)error;
  fprintf(stderr, "the bad subject is about to %s\n", what == NULL ? "give up" : what);
  if (what != NULL && strcmp(what, "abort") == 0) {
    abort();
  }
  if (what != NULL && strcmp(what, "exit") == 0) {
    exit(7);
  }
  if (what != NULL && strcmp(what, "hang") == 0) {
    for (;;) {
      pause();
    }
  }
  misuse_memory(what == NULL ? "" : what);
  return RIG_INTERNAL;
}

static rig_subject table = {.abi = RIG_SUBJECT_ABI,
                            .size = sizeof(rig_subject),
                            .name = "bad",
                            .libraries = "null",
                            .pollers = RIG_POLLER_EPOLL | RIG_POLLER_POLL | RIG_POLLER_SELECT,
                            .capabilities = capabilities,
                            .library_version = library_version,
                            .loop_create = loop_create};

const rig_subject* rig_subject_entry(void) {
  if (getenv("RIG_BAD") != NULL && strcmp(getenv("RIG_BAD"), "abi") == 0) {
    table.abi = RIG_SUBJECT_ABI + 1;
  }
  return &table;
}
