<?php
// Argument: username. Standard input: the password.
[, $username] = $argv;
$password = stream_get_contents(STDIN);
// None of the customer's plugins and themes.
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = 'localhost';
$_SERVER['REQUEST_URI'] = '/';
$_SERVER['SERVER_PROTOCOL'] = 'HTTP/1.1';
$_SERVER['REQUEST_METHOD'] = 'GET';
require './wp-load.php';
$user = get_user_by('login', $username);
if (!$user) {
    fwrite(STDERR, 'WordPress has no such user');
    exit(1);
}
wp_set_password($password, $user->ID);
echo "\nberth: done";
