# SPDX-License-Identifier: BSD-3-Clause
# Made by tests/bench/bridge/run: two namespaces joined in several ways.
# It draws itself: gnuplot -e "kind='svg'; drawn='FILE'" bridge-bars.gp
if (!exists("kind")) kind = "svg"
if (!exists("drawn")) drawn = "bridge-bars." . kind
set encoding utf8
if (kind eq "png") {
    set terminal pngcairo enhanced size 1680,1398 font "sans,10" fontscale 1.5 linewidth 1.5 \
        pointscale 1.5 background "#ffffff"
} else {
    set terminal svg enhanced size 1120,932 font "sans,11" background "#ffffff"
}
set output drawn
set multiplot
set grid linecolor rgb "#E4E4E4" linetype 1 linewidth 1
set border linecolor rgb "#808080"
set tics textcolor rgb "#202020" nomirror
set label 1 "{/:Bold orange}: two vop-bridges    {/:Bold blue}: relays that know no link" \
    at screen 0.5,0.9785 center
set label 2 "{/:Bold pale}: others    {/:Bold grey}: veth pair    The best is on top" \
    at screen 0.5,0.9592 center

set title "TCP, 1 flow, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.9120
set bmargin at screen 0.7296
$b0_0 << END
0 23.875 "23.9" 11579568
1 12.353 "12.4" 29362
2 11.883 "11.9" 29362
3 9.0261 "9.03" 13983232
4 6.734 "6.73" 29362
5 6.4663 "6.47" 29362
6 6.3059 "6.31" 13983232
7 0.58855 "0.589" 7057110
8 0.39171 "0.392" 7057110
9 0.31927 "0.319" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:29.84]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("pair of relays" 1)
set ytics add ("epoll relay" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("vop-bridge, 1 queue" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 1 flow, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.9120
set bmargin at screen 0.7296
$b0_1 << END
0 8.4751 "8.48" 13983232
1 8.2026 "8.2" 29362
2 7.6299 "7.63" 11579568
3 6.7098 "6.71" 29362
4 4.8425 "4.84" 29362
5 4.477 "4.48" 29362
6 4.4459 "4.45" 13983232
7 0.92498 "0.925" 7057110
8 0.4433 "0.443" 7057110
9 0.30073 "0.301" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:10.59]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("epoll relay, 2 queues" 1)
set ytics add ("veth pair" 2)
set ytics add ("io\\_uring relay" 3)
set ytics add ("epoll relay" 4)
set ytics add ("pair of relays" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b0_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, cubic: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.9120
set bmargin at screen 0.7296
$b0_2 << END
0 17.765 "17.8" 11579568
1 10.399 "10.4" 29362
2 7.9037 "7.9" 13983232
3 7.7155 "7.72" 13983232
4 6.384 "6.38" 29362
5 5.4949 "5.49" 29362
6 5.0872 "5.09" 29362
7 0.6184 "0.618" 7057110
8 0.43123 "0.431" 7057110
9 0.38841 "0.388" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:22.21]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("epoll relay, 2 queues" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("pair of relays" 5)
set ytics add ("epoll relay" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b0_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b0_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP, 4 flows, bbr: Gbit/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.6760
set bmargin at screen 0.4936
$b1_0 << END
0 9.707 "9.71" 29362
1 7.9317 "7.93" 11579568
2 7.8515 "7.85" 29362
3 7.1507 "7.15" 13983232
4 6.993 "6.99" 29362
5 6.9622 "6.96" 13983232
6 6.3195 "6.32" 29362
7 0.49826 "0.498" 7057110
8 0.32729 "0.327" 7057110
9 0.22535 "0.225" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:12.13]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("epoll relay, 2 queues" 0)
set ytics add ("veth pair" 1)
set ytics add ("pair of relays" 2)
set ytics add ("vop-bridge, 1 queue" 3)
set ytics add ("epoll relay" 4)
set ytics add ("vop-bridge" 5)
set ytics add ("io\\_uring relay" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
set ytics scale 0
plot $b1_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.6760
set bmargin at screen 0.4936
$b1_1 << END
0 103.2 "103" 29362
1 100.38 "100" 11579568
2 98.598 "98.6" 29362
3 81.509 "81.5" 13983232
4 78.407 "78.4" 7057110
5 77.705 "77.7" 13983232
6 74.192 "74.2" 29362
7 71.668 "71.7" 29362
8 50.328 "50.3" 7057110
9 30.07 "30.1" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:129]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("pair of relays" 0)
set ytics add ("veth pair" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("pasta" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("epoll relay" 6)
set ytics add ("epoll relay, 2 queues" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B: thousand/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.6760
set bmargin at screen 0.4936
$b1_2 << END
0 112.08 "112" 11579568
1 110.88 "111" 13983232
2 101.41 "101" 29362
3 79.759 "79.8" 29362
4 78.272 "78.3" 29362
5 63.444 "63.4" 13983232
6 61.241 "61.2" 7057110
7 52.033 "52" 7057110
8 51.666 "51.7" 29362
9 28.513 "28.5" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:140.1]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge, 1 queue" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("vop-bridge" 5)
set ytics add ("pasta" 6)
set ytics add ("socat" 7)
set ytics add ("epoll relay, 2 queues" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b1_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b1_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, sent with GSO: thousand/s" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.4399
set bmargin at screen 0.2575
$b2_0 << END
0 225.44 "225" 29362
1 217.12 "217" 13983232
2 200.73 "201" 13983232
3 199.5 "199" 11579568
4 145.1 "145" 29362
5 132.09 "132" 29362
6 123.67 "124" 29362
7 56.646 "56.6" 7057110
8 46.105 "46.1" 7057110
9 27.914 "27.9" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:281.8]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("pair of relays" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("veth pair" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("epoll relay" 5)
set ytics add ("io\\_uring relay" 6)
set ytics add ("socat" 7)
set ytics add ("pasta" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 64 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.4399
set bmargin at screen 0.2575
$b2_1 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 5.8747 "5.87" 7057110
9 29.059 "29.1" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:36.32]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "UDP, 1400 B, 50,000/s: % lost" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.4399
set bmargin at screen 0.2575
$b2_2 << END
0 0 "0" 11579568
1 0 "0" 13983232
2 0 "0" 13983232
3 0 "0" 29362
4 0 "0" 29362
5 0 "0" 29362
6 0 "0" 29362
7 0 "0" 7057110
8 19.021 "19" 7057110
9 39.712 "39.7" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:49.64]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("epoll relay, 2 queues" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pair of relays" 6)
set ytics add ("socat" 7)
set ytics add ("pasta" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b2_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b2_2 using 2:1:3 with labels left offset 0.4,0
unset label

set title "request/response, 64 B: us, p50" offset 0,-0.4
set lmargin at screen 0.1473
set rmargin at screen 0.3304
set tmargin at screen 0.2039
set bmargin at screen 0.0215
$b3_0 << END
0 12.339 "12.3" 11579568
1 23.595 "23.6" 29362
2 24.626 "24.6" 29362
3 25.138 "25.1" 29362
4 27.211 "27.2" 7057110
5 27.641 "27.6" 7057110
6 28.242 "28.2" 13983232
7 28.792 "28.8" 13983232
8 32.528 "32.5" 29362
9 82.282 "82.3" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:102.9]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("epoll relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("io\\_uring relay" 3)
set ytics add ("socat" 4)
set ytics add ("pasta" 5)
set ytics add ("vop-bridge, 1 queue" 6)
set ytics add ("vop-bridge" 7)
set ytics add ("pair of relays" 8)
set ytics add ("vde" 9)
set ytics scale 0
plot $b3_0 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_0 using 2:1:3 with labels left offset 0.4,0
unset label

set title "ping under one TCP flow: ms, p95" offset 0,-0.4
set lmargin at screen 0.4777
set rmargin at screen 0.6607
set tmargin at screen 0.2039
set bmargin at screen 0.0397
$b3_1 << END
0 0.046 "0.046" 11579568
1 0.57 "0.57" 29362
2 1.32 "1.32" 13983232
3 1.37 "1.37" 13983232
4 1.47 "1.47" 7057110
5 2.33 "2.33" 29362
6 3.1 "3.1" 29362
7 10.2 "10.2" 29362
8 34.8 "34.8" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:43.5]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("epoll relay, 2 queues" 1)
set ytics add ("vop-bridge" 2)
set ytics add ("vop-bridge, 1 queue" 3)
set ytics add ("vde" 4)
set ytics add ("pair of relays" 5)
set ytics add ("epoll relay" 6)
set ytics add ("io\\_uring relay" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_1 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_1 using 2:1:3 with labels left offset 0.4,0
unset label

set title "TCP through VXLAN: Gbit/s" offset 0,-0.4
set lmargin at screen 0.8080
set rmargin at screen 0.9911
set tmargin at screen 0.2039
set bmargin at screen 0.0397
$b3_2 << END
0 6.7613 "6.76" 11579568
1 1.447 "1.45" 29362
2 1.0984 "1.1" 29362
3 0.94149 "0.941" 29362
4 0.69209 "0.692" 13983232
5 0.68362 "0.684" 13983232
6 0.607 "0.607" 29362
7 0.50461 "0.505" 7057110
8 0.25965 "0.26" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:8.452]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("vop-bridge" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("epoll relay" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics scale 0
plot $b3_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_2 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
