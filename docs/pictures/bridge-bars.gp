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
0 28.672 "28.7" 29362
1 24.927 "24.9" 29362
2 24.309 "24.3" 29362
3 24.175 "24.2" 11579568
4 23.439 "23.4" 29362
5 20.911 "20.9" 13983232
6 19.483 "19.5" 13983232
7 1.3576 "1.36" 7057110
8 0.86653 "0.867" 7057110
9 0.44505 "0.445" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:35.84]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("io\\_uring relay" 0)
set ytics add ("epoll relay, 2 queues" 1)
set ytics add ("epoll relay" 2)
set ytics add ("veth pair" 3)
set ytics add ("pair of relays" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("vop-bridge" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
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
0 18.63 "18.6" 11579568
1 14.628 "14.6" 29362
2 14.232 "14.2" 29362
3 13.576 "13.6" 29362
4 12.641 "12.6" 13983232
5 12.428 "12.4" 13983232
6 12.216 "12.2" 29362
7 0.92168 "0.922" 7057110
8 0.89956 "0.9" 7057110
9 0.70468 "0.705" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:23.29]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("vop-bridge, 1 queue" 4)
set ytics add ("vop-bridge" 5)
set ytics add ("epoll relay" 6)
set ytics add ("socat" 7)
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
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
0 32.416 "32.4" 11579568
1 25.376 "25.4" 29362
2 22.61 "22.6" 29362
3 21.77 "21.8" 29362
4 21.334 "21.3" 13983232
5 21.261 "21.3" 13983232
6 20.036 "20" 29362
7 1.2259 "1.23" 7057110
8 0.78086 "0.781" 7057110
9 0.1164 "0.116" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:40.52]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("epoll relay" 3)
set ytics add ("vop-bridge, 1 queue" 4)
set ytics add ("vop-bridge" 5)
set ytics add ("pair of relays" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
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
0 32.119 "32.1" 11579568
1 21.674 "21.7" 29362
2 19.479 "19.5" 29362
3 18.924 "18.9" 29362
4 18.898 "18.9" 13983232
5 18.162 "18.2" 13983232
6 17.775 "17.8" 29362
7 1.0417 "1.04" 7057110
8 0.87089 "0.871" 7057110
9 0.24586 "0.246" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:40.15]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("epoll relay, 2 queues" 2)
set ytics add ("pair of relays" 3)
set ytics add ("vop-bridge" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("epoll relay" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
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
0 422.54 "423" 13983232
1 391.12 "391" 13983232
2 338.02 "338" 29362
3 292.28 "292" 11579568
4 259.59 "260" 29362
5 214.45 "214" 29362
6 206.97 "207" 29362
7 191.59 "192" 7057110
8 97.845 "97.8" 7057110
9 73.054 "73.1" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:528.2]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge, 1 queue" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("io\\_uring relay" 2)
set ytics add ("veth pair" 3)
set ytics add ("pair of relays" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("epoll relay" 6)
set ytics add ("pasta" 7)
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
0 319.66 "320" 29362
1 318.31 "318" 13983232
2 315.9 "316" 13983232
3 256.76 "257" 11579568
4 250.68 "251" 29362
5 189.48 "189" 29362
6 161.3 "161" 7057110
7 161.21 "161" 29362
8 92.23 "92.2" 7057110
9 47.714 "47.7" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:399.6]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("io\\_uring relay" 0)
set ytics add ("vop-bridge" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("veth pair" 3)
set ytics add ("pair of relays" 4)
set ytics add ("epoll relay" 5)
set ytics add ("pasta" 6)
set ytics add ("epoll relay, 2 queues" 7)
set ytics add ("socat" 8)
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
0 1155 "1155" 11579568
1 592.14 "592" 29362
2 571.47 "571" 29362
3 563.29 "563" 29362
4 559.63 "560" 13983232
5 558.27 "558" 13983232
6 482.07 "482" 29362
7 138.92 "139" 7057110
8 95.292 "95.3" 7057110
9 40.871 "40.9" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1444]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("pair of relays" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("vop-bridge" 4)
set ytics add ("vop-bridge, 1 queue" 5)
set ytics add ("epoll relay" 6)
set ytics add ("pasta" 7)
set ytics add ("socat" 8)
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
8 0 "0" 7057110
9 0 "0" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:1]
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
set ytics add ("vde" 8)
set ytics add ("pasta" 9)
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
8 0 "0" 7057110
9 0.4801 "0.48" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:0.6001]
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
0 26.239 "26.2" 13983232
1 27.31 "27.3" 13983232
2 48.242 "48.2" 11579568
3 66.279 "66.3" 29362
4 66.915 "66.9" 29362
5 68.732 "68.7" 29362
6 70.314 "70.3" 7057110
7 78.857 "78.9" 7057110
8 83.249 "83.2" 29362
9 100.85 "101" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:126.1]
set yrange [9.6:-0.6]
set border 2
set ytics ()
set ytics add ("vop-bridge" 0)
set ytics add ("vop-bridge, 1 queue" 1)
set ytics add ("veth pair" 2)
set ytics add ("epoll relay, 2 queues" 3)
set ytics add ("epoll relay" 4)
set ytics add ("io\\_uring relay" 5)
set ytics add ("pasta" 6)
set ytics add ("socat" 7)
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
0 0.04 "0.04" 11579568
1 0.689 "0.689" 29362
2 0.707 "0.707" 13983232
3 0.744 "0.744" 29362
4 0.803 "0.803" 13983232
5 0.843 "0.843" 29362
6 1.67 "1.67" 7057110
7 2.21 "2.21" 29362
8 12.7 "12.7" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:15.88]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("io\\_uring relay" 1)
set ytics add ("vop-bridge, 1 queue" 2)
set ytics add ("epoll relay" 3)
set ytics add ("vop-bridge" 4)
set ytics add ("epoll relay, 2 queues" 5)
set ytics add ("vde" 6)
set ytics add ("pair of relays" 7)
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
0 11.029 "11" 11579568
1 1.9792 "1.98" 13983232
2 1.8451 "1.85" 29362
3 1.7838 "1.78" 13983232
4 1.413 "1.41" 29362
5 1.1322 "1.13" 29362
6 1.0657 "1.07" 29362
7 0.98529 "0.985" 7057110
8 0.65991 "0.66" 7057110
END
unset key
unset grid
unset xtics
set xrange [0:13.79]
set yrange [8.6:-0.6]
set border 2
set ytics ()
set ytics add ("veth pair" 0)
set ytics add ("vop-bridge, 1 queue" 1)
set ytics add ("pair of relays" 2)
set ytics add ("vop-bridge" 3)
set ytics add ("io\\_uring relay" 4)
set ytics add ("epoll relay" 5)
set ytics add ("epoll relay, 2 queues" 6)
set ytics add ("vde" 7)
set ytics add ("socat" 8)
set ytics scale 0
plot $b3_2 using 2:1:(0):2:($1-0.38):($1+0.38):4 with boxxyerror fillstyle solid \
    linecolor rgb variable, \
    $b3_2 using 2:1:3 with labels left offset 0.4,0
unset label
unset multiplot
unset output
