#include "clients/ctl/run_ctl.h"

int main(int argc, char** argv) { return latchkey::RunCtl(argc, argv); }
