# Cross build with Debian's g++-s390x-linux-gnu; tests run under qemu-user:
#     cmake -S . -B build/s390x -DFMAPZIP_TESTS=ON -DCMAKE_TOOLCHAIN_FILE=cmake/s390x.cmake
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR s390x)
set(CMAKE_CXX_COMPILER s390x-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-s390x;-L;/usr/s390x-linux-gnu)
