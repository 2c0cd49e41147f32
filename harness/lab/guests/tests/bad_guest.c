// A guest that goes wrong in the way its argument names, so that the host is seen to say so.
//   alone    nothing goes wrong: one thread sends to itself; says which descriptors it got
//   idle     uses no socket
//   fails    answers 7, after it used a socket
//   exits    ends the process with 0
//   waits    waits for a message that nobody sends
//   differs  sends as many messages as the processor's clock says: no seed decides that
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int use_sockets(unsigned messages) {
  int ends[2];
  char byte = 0;
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) {
    return 3;
  }
  printf("descriptors %d and %d\n", ends[0], ends[1]);
  for (unsigned i = 0; i < messages; ++i) {
    if (send(ends[0], "x", 1, 0) != 1 || recv(ends[1], &byte, 1, 0) != 1 || byte != 'x') {
      return 4;
    }
  }
  return close(ends[0]) == 0 && close(ends[1]) == 0 ? 0 : 5;
}

static int wait_for_ever(void) {
  int ends[2];
  char byte;
  return socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 ? (int)recv(ends[0], &byte, 1, 0) : 3;
}

int main(int argc, char** argv) {
  const char* how = argc == 2 ? argv[1] : "";
  if (strcmp(how, "alone") == 0) {
    return use_sockets(10);
  }
  if (strcmp(how, "idle") == 0) {
    return 0;
  }
  if (strcmp(how, "fails") == 0) {
    const int used = use_sockets(1);
    return used == 0 ? 7 : used;
  }
  if (strcmp(how, "exits") == 0) {
    exit(use_sockets(1));
  }
  if (strcmp(how, "waits") == 0) {
    return wait_for_ever();
  }
  if (strcmp(how, "differs") == 0) {
    return use_sockets(1 + (unsigned)(__builtin_ia32_rdtsc() % 1000));
  }
  fprintf(stderr, "bad_guest: alone, idle, fails, exits, waits or differs\n");
  return 2;
}
