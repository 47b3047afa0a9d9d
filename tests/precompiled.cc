// The program that precompiled.h is compiled for. Nobody runs it.
int main() {}
