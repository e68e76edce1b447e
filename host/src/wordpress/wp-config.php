<?php
// Written when the account was made. Yours to change.
define('DB_NAME', '{{database}}');
define('DB_USER', '{{user}}');
define('DB_PASSWORD', '{{password}}');
define('DB_HOST', 'localhost:{{socket}}');
define('DB_CHARSET', 'utf8mb4');
define('DB_COLLATE', '');

{{keys}}

// The site answers under each of its names, so that it can be used before its own domain leads here.
if (in_array($_SERVER['HTTP_HOST'] ?? '', [{{hosts}}], true)) {
    define('WP_HOME', '{{scheme}}://' . $_SERVER['HTTP_HOST']);
    define('WP_SITEURL', WP_HOME);
}

$table_prefix = 'wp_';
define('WP_DEBUG', false);

if (!defined('ABSPATH')) {
    define('ABSPATH', __DIR__ . '/');
}
require_once ABSPATH . 'wp-settings.php';
