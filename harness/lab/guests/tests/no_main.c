// A shared object without main: nothing that the host can run.
int rig_no_main(void);

int rig_no_main(void) {
  return 0;
}
