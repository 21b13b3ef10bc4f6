# Cross build with Debian's g++-mingw-w64-x86-64; tests run under Wine:
#     cmake -S . -B build/windows -DFMAPZIP_TESTS=ON -DCMAKE_TOOLCHAIN_FILE=cmake/windows.cmake
set(CMAKE_SYSTEM_NAME Windows)
set(CMAKE_SYSTEM_PROCESSOR x86_64)
set(CMAKE_CXX_COMPILER x86_64-w64-mingw32-g++-posix)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR /usr/lib/wine/wine64)
